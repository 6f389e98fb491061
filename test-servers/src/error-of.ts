/** What the work ends with. @throws Error when it ends well */
export async function errorOf(work: Promise<unknown>): Promise<Error> {
  const end = await work.then(
    () => 'it ended well',
    (error: unknown) => error,
  );
  if (end instanceof Error) return end;
  throw new Error(`no error: ${String(end)}`);
}
