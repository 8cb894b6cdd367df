#pragma once

/// Relative error of an ALS model, computed in the other translation unit.
double error_in_other_unit();
