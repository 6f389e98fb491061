/**
 * The flags of Node and V8 that save memory in `sallyport serve`, however it was started, and why: docs/performance.md,
 * "Memory". Like sallyport.js, this file is JavaScript: TypeScript would be loaded only to start the process again.
 */
const firstFlags = [
  '--disable-sigusr1',
  // V8 would let the space for new objects grow to 32 MiB, and use up to three times as much. With less than 8 MiB, more
  // requests in progress are copied.
  '--max-semi-space-size=8',
];

/** A start with these takes 50 ms of a processor more: V8 can't use compiled code that was stored with other flags. */
const lateFlags = [
  // V8 would let the heap grow to four times of what is in use before it collects the rest.
  '--heap-growing-percent=60',
  // A burst of reviews looks to V8 like objects that live long. It would then make all objects of their kinds where only a
  // full collection frees them, and with them what they refer to: the whole review.
  '--no-allocation-site-pretenuring',
];

/** The percentage of a container's memory for the heap. The rest is for buffers, TLS, code and new objects. */
const heapPercentage = 50;

/** Each of these sets the size of the heap. */
const heapFlags = ['--max-old-space-size', '--max-old-space-size-percentage', '--max-heap-size'];

/**
 * Returns the flags to start Node with, besides those that it was started with. A flag that is there already is not added,
 * with any value: the operator's choice wins.
 *
 * @param {string | undefined} options NODE_OPTIONS
 * @param {readonly string[]} commandLine the flags of the command line
 * @param {number} memory the bytes that the container or the service may use. It is 0 if there is no limit: Node's own
 *   limit of the heap follows the memory of the machine
 * @returns {string[]}
 */
export function flagsForStart(options = '', commandLine, memory) {
  // In NODE_OPTIONS, a flag can be quoted.
  const flags = [...options.replaceAll('"', '').split(' '), ...commandLine];
  const names = new Set(flags.map(normalizeFlag));
  const flagsToAdd = firstFlags.filter((flag) => !names.has(normalizeFlag(flag)));
  if (memory === 0 || heapFlags.some((flag) => names.has(flag))) return flagsToAdd;
  return [
    ...flagsToAdd,
    `--max-old-space-size=${Math.floor((memory * heapPercentage) / 100 / 2 ** 20)}`,
  ];
}

/**
 * Returns the flags to set when all code is loaded. The operator's choice wins here too. Node does not take them in NODE_OPTIONS.
 *
 * @param {readonly string[]} commandLine the flags of the command line
 * @returns {string[]}
 */
export function flagsForRunning(commandLine) {
  const names = new Set(commandLine.map(normalizeFlag));
  return lateFlags.filter((flag) => !names.has(normalizeFlag(flag)));
}

/** A flag can be written with `_` for `-`, with one `-` at its start, and as `--no-flag` for its opposite. @param {string} flag */
function normalizeFlag(flag) {
  const [name = ''] = flag.split('=');
  return name.replaceAll('_', '-').replace(/^--?(no-)?/, '--');
}
