"use strict";
// From strokes to an image such as the network was trained on, and from an image to class probabilities.
// Images are flat arrays, row by row. A stroke is a list of points [x, y] on paper of SIDE by SIDE.

const [SIDE, PEN] = [280, 20];

const network = JSON.parse(document.getElementById("network").textContent);
for (const step of network.steps) {
  step.arrays = step.weights.map((text) => new Float32Array(decode(text).buffer));
}

function decode(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

// 1. The network: each step turns an image of [height, width, channels] into the next.

// Slides a window over an image: add(sums, pixel, tap, taps) adds a pixel of the image, seen through one of the
// window's taps, to the channels of a pixel of the result, which are those of `start` at first.
function slide(step, start, add) {
  const [height, width] = step.image;
  const [rows, columns, channels] = step.result;
  const output = new Float32Array(rows * columns * channels);
  const sums = new Float64Array(channels);
  for (let row = 0; row < rows; row++) {
    const top = row * step.strides[0] - step.padding[0];
    const [firstRow, endRow] = [Math.max(0, top), Math.min(height, top + step.window[0])];
    for (let column = 0; column < columns; column++) {
      const left = column * step.strides[1] - step.padding[1];
      const [firstColumn, endColumn] = [Math.max(0, left), Math.min(width, left + step.window[1])];
      const taps = (endRow - firstRow) * (endColumn - firstColumn);
      sums.set(start);
      for (let y = firstRow; y < endRow; y++) {
        for (let x = firstColumn; x < endColumn; x++) {
          add(sums, y * width + x, (y - top) * step.window[1] + x - left, taps);
        }
      }
      output.set(sums, (row * columns + column) * channels);
    }
  }
  return output;
}

// Of dense layers, too: to them, an image is one pixel of many channels.
function convolution(image, step, kernel, bias) {
  const [channels, filters] = [step.image[2], step.result[2]];
  return slide(step, bias, (sums, pixel, tap) => {
    for (let channel = 0; channel < channels; channel++) {
      const value = image[pixel * channels + channel];
      if (value === 0) continue; // paper, and half of what ReLU leaves
      const first = (tap * channels + channel) * filters;
      for (let filter = 0; filter < filters; filter++) sums[filter] += value * kernel[first + filter];
    }
  });
}

function depthwise(image, step, kernel, bias) {
  const [channels, filters] = [step.image[2], step.result[2]];
  const source = Array.from({ length: filters }, (_, filter) => Math.floor((filter * channels) / filters));
  return slide(step, bias, (sums, pixel, tap) => {
    for (let filter = 0; filter < filters; filter++) {
      sums[filter] += image[pixel * channels + source[filter]] * kernel[tap * filters + filter];
    }
  });
}

function maximum(image, step) {
  const channels = step.result[2];
  return slide(step, new Float32Array(channels).fill(-Infinity), (largest, pixel) => {
    for (let c = 0; c < channels; c++) largest[c] = Math.max(largest[c], image[pixel * channels + c]);
  });
}

function average(image, step) {
  const channels = step.result[2];
  return slide(step, new Float32Array(channels), (sums, pixel, tap, taps) => {
    for (let c = 0; c < channels; c++) sums[c] += image[pixel * channels + c] / taps;
  });
}

// Batch normalization and rescaling.
function scale(image, step, factor, offset) {
  const channels = step.image[2];
  return image.map((value, i) => value * factor[i % channels] + offset[i % channels]);
}

function softmax(image, step) {
  const [output, channels] = [new Float32Array(image.length), step.image[2]];
  for (let first = 0; first < image.length; first += channels) {
    const values = image.subarray(first, first + channels);
    const powers = Float64Array.from(values, (value) => Math.exp(value - Math.max(...values)));
    const total = powers.reduce((sum, power) => sum + power);
    output.set(powers.map((power) => power / total), first);
  }
  return output;
}

// The error function by formula 7.1.26 of Abramowitz and Stegun (1964), to 1.5e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const terms = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - terms * Math.exp(-x * x));
}

const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const ACTIVATIONS = {
  relu: (x) => Math.max(0, x),
  leaky_relu: (x) => (x < 0 ? 0.2 * x : x),
  elu: (x) => (x < 0 ? Math.expm1(x) : x),
  gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  silu: (x) => x * sigmoid(x),
  sigmoid,
  tanh: Math.tanh,
};
const STEPS = { convolution, depthwise, scale, softmax, MaxPooling2D: maximum, AveragePooling2D: average };
for (const [name, activation] of Object.entries(ACTIVATIONS)) {
  STEPS[name] = (image) => image.map((x) => activation(x));
}

// 2. Framing (LeCun, Bottou, Bengio and Haffner 1998, section III.A).

const clip = (value, low, high) => Math.min(Math.max(value, low), high);

// Sums over an image: of its ink; of ink by row, by column, by row squared, by row and column.
function moments(ink, width) {
  const sums = [0, 0, 0, 0, 0];
  ink.forEach((value, i) => {
    const [row, column] = [Math.floor(i / width), i % width];
    [1, row, column, row * row, row * column].forEach((factor, n) => { sums[n] += value * factor; });
  });
  return sums;
}

// Makes a slanted digit upright and centres it, each row by whole 64ths of a pixel, bit for bit as Keras does.
function deskew(levels) {
  const side = network.side;
  const [mass, rows, columns, squares, products] = moments(levels, side);
  const variance = mass * squares - rows * rows;
  if (variance <= 0) return levels;
  const slant = clip((mass * products - rows * columns) / variance, -1, 1);
  return levels.map((_, i) => {
    const [row, column] = [Math.floor(i / side), i % side];
    const move = slant * (row - rows / mass) - ((side - 1) / 2 - columns / mass);
    const source = column + clip(Math.floor(move * 64 + (0.5 + 2 ** -20)) / 64, -side, side);
    const [left, part] = [Math.floor(source), source - Math.floor(source)];
    const at = (x) => (x >= 0 && x < side ? levels[row * side + x] : 0);
    return Math.floor(at(left) - part * (at(left) - at(left + 1)) + 0.5);
  });
}

function bicubic(x) {
  const t = Math.abs(x);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  return t < 2 ? -0.5 * (((t - 5) * t + 8) * t - 4) : 0;
}

// Scales the rows of an image to another width, and turns them into columns: done twice, both sides are scaled.
function resize(image, width, newWidth) {
  const [height, ratio] = [image.length / width, width / newWidth];
  const spread = Math.max(1, ratio);
  const output = new Float32Array(newWidth * height);
  for (let i = 0; i < newWidth; i++) {
    const middle = (i + 0.5) * ratio;
    const first = Math.max(0, Math.floor(middle - 2 * spread + 0.5));
    const end = Math.min(width, Math.floor(middle + 2 * spread + 0.5));
    const shares = Array.from({ length: end - first }, (_, k) => bicubic((first + k + 0.5 - middle) / spread));
    const total = shares.reduce((sum, share) => sum + share);
    for (let row = 0; row < height; row++) {
      let sum = 0;
      for (let x = first; x < end; x++) sum += shares[x - first] * image[row * width + x];
      output[i * height + row] = sum / total;
    }
  }
  return output;
}

// Grey levels of a scaled drawing, its centre of mass, or else its middle, at the centre of an image.
function place(ink, width, height) {
  const side = network.side;
  const [mass, rows, columns] = moments(ink, width);
  const [top, left] = [[height, rows], [width, columns]].map(([length, sum]) =>
    clip(network.by_mass ? Math.round(side / 2 - sum / mass) : (side - length) >> 1, 0, side - length));
  const levels = new Uint8Array(side * side);
  ink.forEach((value, i) => {
    const [row, column] = [top + Math.floor(i / width), left + (i % width)];
    levels[row * side + column] = Math.round(255 * value);
  });
  return levels;
}

// Draws strokes with a round pen.
function trace(context, strokes, width) {
  Object.assign(context, { lineWidth: width, lineCap: "round", lineJoin: "round" });
  for (const stroke of strokes) {
    context.beginPath();
    context.moveTo(...stroke[0]);
    for (const point of stroke) context.lineTo(...point);
    context.stroke();
  }
}

// Cuts a drawing out and gives its ink, 0 to 1, with lines that will be two pixels wide in a box, or wider.
function cutOut(strokes, box) {
  const [xs, ys] = [0, 1].map((axis) => strokes.flat().map((point) => point[axis]));
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const extents = [Math.max(...xs) - left, Math.max(...ys) - top];
  const pen = Math.max(PEN, (2 * Math.max(...extents)) / (box - 2));
  const factor = SIDE / (Math.max(...extents) + pen);
  const [width, height] = extents.map((extent) => Math.round((extent + pen) * factor));
  const context = Object.assign(document.createElement("canvas"), { width, height })
    .getContext("2d", { willReadFrequently: true });
  context.scale(factor, factor);
  context.translate(pen / 2 - left, pen / 2 - top);
  trace(context, strokes, pen);
  const colours = context.getImageData(0, 0, width, height).data;
  return [new Float32Array(width * height).map((_, i) => colours[4 * i + 3] / 255), width, height];
}

// Makes strokes into grey levels: the longer side fills the box, and what is darkest is full ink.
function frame(strokes) {
  const box = network.box * network.side;
  const [ink, width, height] = cutOut(strokes, box);
  const [newWidth, newHeight] = [width, height].map((length) => Math.max(1, Math.round((length * box) / SIDE)));
  const scaled = resize(resize(ink, width, newWidth), height, newHeight);
  const full = Math.max(0.3, scaled.slice().sort()[Math.floor(0.98 * (scaled.length - 1))]);
  const levels = place(scaled.map((value) => clip(value / full, 0, 1)), newWidth, newHeight);
  return network.is_light ? levels.map((level) => 255 - level) : levels;
}

// What the network's own layers see of an image, and the class probabilities that they give it.
function look(levels) {
  const seen = network.deskews ? deskew(levels) : levels;
  let image = Float32Array.from(seen, (level) => level * Math.fround(1 / 255));
  for (const step of network.steps) image = STEPS[step.kind](image, step, ...step.arrays);
  return { seen, chances: image };
}
