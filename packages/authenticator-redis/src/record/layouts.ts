import { hashLayout } from './hash-layout.ts';
import { jsonLayout } from './json-layout.ts';
import type { Layout } from './types.ts';

export type LayoutName = 'json' | 'hash';

export const layouts: Readonly<Record<LayoutName, Layout>> = { json: jsonLayout, hash: hashLayout };
