import { z } from 'zod';
import { createSequence, type Sequence, type SequenceReport } from './sequence.ts';
import type { TrailLine } from './trail-lines.ts';

/** A place in a file. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

export interface BootReport extends SequenceReport {
  readonly boot: string;
  /** Times of its first line and of its last. */
  readonly from: string;
  readonly to: string;
  /** A line that its end, or a crash, has torn. */
  readonly torn?: Place;
}

export interface TrailReport {
  /** In the order in which they begin. */
  readonly boots: readonly BootReport[];
  /** A file's end that belongs to no process known here. */
  readonly torn: readonly Place[];
  /** How many lines are no lines of a trail. */
  readonly unreadable: number;
  /** The first of them. */
  readonly unreadableAt: readonly Place[];
  /** Nothing is missing that the trail does not tell of, nothing is there twice, and all could be read. */
  readonly isWhole: boolean;
}

export interface TrailCheck {
  readonly report: TrailReport;
  add(line: TrailLine): void;
}

/** Each costs memory. More restarts are in no trail. */
const mostBoots = 100_000;
/** Places that are told one by one. */
const mostPlaces = 100;

const count = z.int().min(1);
const lineSchema = z.object({
  time: z.string().max(40),
  boot: z.string().max(64),
  sequence: count,
  dropped: count.optional(),
});

interface Boot {
  readonly sequence: Sequence;
  readonly from: string;
  to: string;
  torn?: Place;
}

/** Looks at a trail line by line, files in the order in which they were written. */
export function createTrailCheck(): TrailCheck {
  const boots = new Map<string, Boot>();
  const torn: Place[] = [];
  const unreadableAt: Place[] = [];
  let unreadable = 0;
  let last: Boot | undefined;
  let suspect: Place | undefined;

  function noteUnreadable(place: Place): void {
    unreadable += 1;
    if (unreadableAt.length < mostPlaces) unreadableAt.push(place);
  }

  function noteTorn(place: Place): void {
    if (last !== undefined && last.torn === undefined) last.torn = place;
    else if (torn.length < mostPlaces) torn.push(place);
  }

  /** The beginning of a line, with nothing behind it in its file or with a process behind it that begins: a crash. */
  function settle(isCrash: boolean): void {
    if (suspect === undefined) return;
    if (isCrash) noteTorn(suspect);
    else noteUnreadable(suspect);
    suspect = undefined;
  }

  function begin(name: string, from: string): Boot {
    if (boots.size >= mostBoots) throw new Error(`lines of over ${mostBoots} processes: verify fewer files at once`);
    const boot = { sequence: createSequence(boots.size > 0), from, to: from };
    boots.set(name, boot);
    return boot;
  }

  return {
    get report() {
      settle(true);
      const reports = [...boots].map(([boot, one]) => reportOf(boot, one));
      const isWhole = unreadable === 0 && reports.every(({ missing, repeats }) => missing + repeats === 0);
      return { boots: reports, torn, unreadable, unreadableAt, isWhole };
    },
    add({ file, number, text, isWhole }) {
      if (suspect !== undefined && suspect.file !== file) settle(true);
      if (text === '') return;
      const place = { file, line: number };
      const read = text === undefined ? 'unreadable' : parse(text, isWhole);
      if (typeof read === 'string') {
        settle(false);
        if (read === 'cut') suspect = place;
        else noteUnreadable(place);
        return;
      }
      const known = boots.get(read.boot);
      settle(known === undefined);
      last = known ?? begin(read.boot, read.time);
      last.to = read.time;
      last.sequence.add(read.sequence, read.dropped ?? 0);
    },
  };
}

function reportOf(boot: string, { sequence, from, to, torn }: Boot): BootReport {
  return { boot, from, to, ...sequence.report, ...(torn !== undefined && { torn }) };
}

/** `cut`: the beginning of a line. */
function parse(text: string, isWhole: boolean): z.infer<typeof lineSchema> | 'cut' | 'unreadable' {
  const cut = text.startsWith('{') ? 'cut' : 'unreadable';
  if (!isWhole) return cut;
  try {
    return lineSchema.safeParse(JSON.parse(text)).data ?? 'unreadable';
  } catch {
    return cut;
  }
}
