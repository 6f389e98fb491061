import { crc32, deflateSync, inflateSync } from 'node:zlib';

/** The chunks of a PNG file begin after its signature. Each has a length, a type, the data and a checksum (PNG, section 5). */
const signature = Buffer.from('89504e470d0a1a0a', 'hex');

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, checksum]);
}

function chunksOf(png: Buffer, type: string): Buffer {
  const found: Buffer[] = [];
  for (let at = signature.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    if (png.toString('latin1', at + 4, at + 8) === type)
      found.push(png.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  return Buffer.concat(found);
}

/** Undoes the filters of the lines: each byte is a difference to the bytes at its left and above it (PNG, section 9). */
function unfiltered(data: Buffer, lineLength: number, pixelLength: number): Buffer {
  const pixels = Buffer.alloc((data.length / (lineLength + 1)) * lineLength);
  for (let at = 0; at < pixels.length; at++) {
    const [line, column] = [Math.floor(at / lineLength), at % lineLength];
    const hasLeft = column >= pixelLength;
    const left = hasLeft ? (pixels[at - pixelLength] ?? 0) : 0;
    const above = pixels[at - lineLength] ?? 0;
    const corner = hasLeft ? (pixels[at - lineLength - pixelLength] ?? 0) : 0;
    const paeth = () => {
      const [toLeft, toAbove, toCorner] = [
        above - corner,
        left - corner,
        left + above - 2 * corner,
      ];
      const [one, two, three] = [toLeft, toAbove, toCorner].map(Math.abs) as [
        number,
        number,
        number,
      ];
      if (one <= two && one <= three) return left;
      return two <= three ? above : corner;
    };
    const filter = data[line * (lineLength + 1)] ?? 0;
    const guess = [0, left, above, (left + above) >> 1][filter] ?? paeth();
    pixels[at] = (data[line * (lineLength + 1) + 1 + column] ?? 0) + guess;
  }
  return pixels;
}

type Color = readonly [red: number, green: number, blue: number];

/** Keeps the 256 most frequent colors. @returns which one of them replaces each color, and all of them */
function chosenColors(counts: ReadonlyMap<number, number>) {
  const partsOf = (color: number): Color => [color >> 16, (color >> 8) & 255, color & 255];
  const palette = [...counts]
    .sort(([, one], [, other]) => other - one)
    .slice(0, 256)
    .map(([color]) => partsOf(color));
  const distance = (one: Color, other: Color) =>
    one.reduce((sum, part, at) => sum + (part - (other[at] ?? 0)) ** 2, 0);
  const nearest = (color: Color) => {
    const distances = palette.map((one) => distance(one, color));
    return distances.indexOf(Math.min(...distances));
  };
  const indexes = new Map([...counts.keys()].map((color) => [color, nearest(partsOf(color))]));
  return { indexes, palette: Buffer.from(palette.flat()) };
}

/** Makes a picture of a page several times as small: it has 256 colors at most. */
export function shrunken(png: Buffer): Buffer {
  const header = Buffer.from(chunksOf(png, 'IHDR'));
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const pixelLength = header[9] === 6 ? 4 : 3;
  const pixels = unfiltered(inflateSync(chunksOf(png, 'IDAT')), width * pixelLength, pixelLength);
  const colors = Array.from({ length: width * height }, (_, at) =>
    pixels.readUIntBE(at * pixelLength, 3),
  );
  const counts = new Map<number, number>();
  for (const color of colors) counts.set(color, (counts.get(color) ?? 0) + 1);
  const { indexes, palette } = chosenColors(counts);
  // A line begins with its filter, which is none.
  const indexed = Buffer.alloc((width + 1) * height);
  for (const [at, color] of colors.entries())
    indexed[at + 1 + Math.floor(at / width)] = indexes.get(color) ?? 0;
  header[9] = 3;
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('PLTE', palette),
    chunk('IDAT', deflateSync(indexed, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}
