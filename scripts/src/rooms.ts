/**
 * Counts the rooms in the pictures of docs/contributing/architecture.md, and the arrows between them: `pnpm rooms`.
 *
 * A room is what a picture names: a folder with all that is in it, a file, or all other files. An arrow goes from one room
 * to another that it imports from. Tests and test support are left out.
 */
import { readFileSync } from 'node:fs';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import configuration, { architecture } from './dependency-cruiser.ts';
import { readPictures } from './folder-order.ts';
import { countRooms, type Import } from './room-count.ts';

const pictures = readPictures(readFileSync(architecture, 'utf8'));
const { output } = await cruise(
  pictures.map(({ source }) => source),
  configuration.options,
);
const imports = (output as ICruiseResult).modules.flatMap(({ source: from, dependencies }) =>
  dependencies.map(({ resolved: to }): Import => ({ from, to })),
);

console.log(
  '| source folder | rooms | floors | arrows | in circles |\n| --- | ---: | ---: | ---: | --- |',
);
for (const picture of pictures) {
  const { rooms, floors, arrows, inCircles } = countRooms(picture, imports);
  console.log(
    `| ${picture.source} | ${rooms} | ${floors} | ${arrows} | ${inCircles.join(', ') || 'none'} |`,
  );
}
