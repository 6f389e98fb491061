/**
 * The flags of Node that `sallyport serve` runs with, however it was started, and why: docs/performance.md, "Memory".
 * Like sallyport.js, this file is JavaScript: TypeScript would be loaded only to start the process again.
 */
const flags = [
  '--disable-sigusr1',
  // V8 would let the space for new objects grow to 32 MiB, and use up to three times as much. With less than 8 MiB, more
  // requests in progress are copied.
  '--max-semi-space-size=8',
  // V8 would let the heap grow to four times of what is in use before it collects the rest.
  '--heap-growing-percent=60',
];

/** The percentage of a container's memory for the heap. The rest is for buffers, TLS, code and new objects. */
const heapPercentage = 50;

/** Each of these sets the size of the heap. */
const heapFlags = ['--max-old-space-size', '--max-old-space-size-percentage', '--max-heap-size'];

/**
 * Returns the flags to add to those that Node was started with. A flag that is there already is not added, whatever its
 * value is: the operator's choice wins.
 *
 * @param {readonly string[]} given the flags of NODE_OPTIONS and of the command line
 * @param {number} memory the bytes that the container or the service may use. It is 0 if there is no limit: Node's own
 *   limit of the heap follows the memory of the machine
 * @returns {string[]}
 */
export function missingFlags(given, memory) {
  const names = new Set(given.map(nameOf));
  const missing = flags.filter((flag) => !names.has(nameOf(flag)));
  if (memory === 0 || heapFlags.some((flag) => names.has(flag))) return missing;
  return [
    ...missing,
    `--max-old-space-size=${Math.floor((memory * heapPercentage) / 100 / 2 ** 20)}`,
  ];
}

/** V8 takes `_` for `-` in a flag, and `--no-flag` for its opposite. @param {string} flag */
function nameOf(flag) {
  return flag
    .split('=')[0]
    .replaceAll('_', '-')
    .replace(/^--no-/, '--');
}
