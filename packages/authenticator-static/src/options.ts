import { z } from 'zod';

export type StaticOptions = z.output<typeof optionsSchema>;

const file = (example: string) =>
  z
    .string({ error: `must be a path, such as ${example}` })
    .min(1, `must be a path, such as ${example}`);

export const optionsSchema = z
  .strictObject({
    tokensFile: file('tokens.yaml')
      .describe(
        'YAML file of SHA-256 digests of tokens, relative to the config file. The command `token hash` makes an entry.',
      )
      .optional(),
    tokenAuthFile: file('tokens.csv')
      .describe(
        "Kubernetes' own static token file (kube-apiserver's --token-auth-file), relative to the config file. " +
          'CSV: token,user,uid,"group1,group2".',
      )
      .optional(),
  })
  .refine(
    ({ tokensFile, tokenAuthFile }) => tokensFile !== undefined || tokenAuthFile !== undefined,
    {
      error:
        'no file of tokens is set: write tokensFile: tokens.yaml, tokenAuthFile: tokens.csv, or both',
    },
  )
  .meta({ anyOf: [{ required: ['tokensFile'] }, { required: ['tokenAuthFile'] }] })
  .describe('Static tokens. At least one of the two files must be given.');
