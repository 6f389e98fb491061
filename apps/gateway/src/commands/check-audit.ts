import { probeOutput } from '../audit/output.ts';
import { causeOf } from '../config/problems.ts';
import type { GatewayConfig } from '../config/types.ts';
import { type Finding, fault } from './finding.ts';

/** Whether the trail could be written by whoever runs this. It makes no file. */
export async function checkAudit({ audit }: Pick<GatewayConfig, 'audit'>): Promise<Finding[]> {
  if (audit === undefined) return [];
  try {
    await probeOutput(audit);
  } catch (error) {
    return [fault('audit', causeOf(error))];
  }
  const detail = audit.output === 'stdout' ? 'standard output' : `${audit.output.file} can be written`;
  return [{ check: 'audit', result: 'ok', detail }];
}
