import { type FolderOrder, otherFiles } from './folder-order.ts';

export interface Import {
  /** Path of a file, from the root of the repository. */
  readonly from: string;
  readonly to: string;
}

export interface RoomCount {
  readonly rooms: number;
  /** The most rooms on one path of arrows. */
  readonly floors: number;
  readonly arrows: number;
  /** Rooms that import themselves by way of others. */
  readonly inCircles: readonly string[];
}

/** The rooms that each room imports from. */
type Arrows = ReadonlyMap<string, ReadonlySet<string>>;

const leftOut = /[.](test|load)[.]ts$|\/testing\//;

export function countRooms(picture: FolderOrder, imports: readonly Import[]): RoomCount {
  const arrows = arrowsOf(picture, imports);
  const rooms = [...arrows.keys()];
  const inCircles = rooms.filter((room) => roomsBelow(room, arrows).has(room));
  const floorOf = (room: string): number => {
    const lower = [...(arrows.get(room) ?? [])].filter((other) => !inCircles.includes(other));
    return 1 + Math.max(0, ...lower.map(floorOf));
  };
  return {
    rooms: rooms.length,
    floors: Math.max(0, ...rooms.map(floorOf)),
    arrows: [...arrows.values()].reduce((sum, { size }) => sum + size, 0),
    inCircles,
  };
}

function arrowsOf({ source, rows }: FolderOrder, imports: readonly Import[]): Arrows {
  const names = new Set(rows.flat());
  const roomOf = (path: string): string => {
    const [name = ''] = path.slice(source.length + 1).split('/');
    return names.has(name) ? name : otherFiles;
  };
  const arrows = new Map<string, Set<string>>();
  for (const { from, to } of imports) {
    if ([from, to].some((path) => !path.startsWith(`${source}/`) || leftOut.test(path))) continue;
    const [room, other] = [roomOf(from), roomOf(to)];
    for (const one of [room, other]) if (!arrows.has(one)) arrows.set(one, new Set());
    if (room !== other) arrows.get(room)?.add(other);
  }
  return arrows;
}

function roomsBelow(room: string, arrows: Arrows, found = new Set<string>()): ReadonlySet<string> {
  for (const other of arrows.get(room) ?? []) {
    if (found.has(other)) continue;
    found.add(other);
    roomsBelow(other, arrows, found);
  }
  return found;
}
