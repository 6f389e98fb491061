/** The error that the work fails with. @throws Error when it succeeds */
export async function errorOf(work: Promise<unknown>): Promise<Error> {
  const end = await work.then(
    () => 'it succeeded',
    (error: unknown) => error,
  );
  if (end instanceof Error) return end;
  throw new Error(`no error: ${String(end)}`);
}
