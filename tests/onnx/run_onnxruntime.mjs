// Runs the models of write_for_runtime in ONNX Runtime (npm: onnxruntime-web) and compares what they give with the
// outputs they must have: node run_onnxruntime.mjs FOLDER, where node_modules is found from the current folder.

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const ort = createRequire(join(process.cwd(), 'package.json'))('onnxruntime-web');
ort.env.wasm.numThreads = 1;

// Float32, C order: all that write_for_runtime writes.
function readNpy(path) {
  const bytes = readFileSync(path);
  const begin = 10 + bytes.readUInt16LE(8);
  const header = bytes.toString('latin1', 10, begin);
  if (!header.includes("'<f4'") || !header.includes("'fortran_order': False")) throw new Error(`${path}: ${header}`);
  const shape = header.match(/\(([^)]*)\)/)[1].split(',').filter((size) => size.trim()).map(Number);
  return { shape, values: new Float32Array(bytes.buffer.slice(bytes.byteOffset + begin, bytes.byteOffset + bytes.length)) };
}

let failures = 0;
const [folder] = process.argv.slice(2);
for (const name of readdirSync(folder).sort()) {
  const session = await ort.InferenceSession.create(readFileSync(join(folder, name, 'model.onnx')));
  const input = readNpy(join(folder, name, 'input.npy')), expected = readNpy(join(folder, name, 'output.npy'));
  const { output } = await session.run({ input: new ort.Tensor('float32', input.values, input.shape) });
  let difference = 0, norm = 0;
  expected.values.forEach((value, k) => {
    difference += (output.data[k] - value) ** 2;
    norm += value ** 2;
  });
  const error = Math.sqrt(difference / norm);
  const good = output.dims.join() === expected.shape.join() && error < 1e-5;
  failures += good ? 0 : 1;
  console.log(`${good ? 'ok' : 'FAILED'} ${name}: ${output.dims.join(' x ')}, relative difference ${error.toExponential(1)}`);
}
console.log(`ONNX Runtime ${ort.env.versions.web}: ${failures} failed`);
process.exit(failures > 0 ? 1 : 0);
