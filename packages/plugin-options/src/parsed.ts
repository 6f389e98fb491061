/** What became of a text of gateway.yaml: its value, or what is wrong with it and what to write instead. */
export type Parsed<Value> = { readonly value: Value } | { readonly problem: string; readonly fix: string };
