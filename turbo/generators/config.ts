import type { PlopTypes } from '@turbo/gen';
import type {
  addToRepository,
  problemInside,
} from '../../packages/create-authenticator/src/inside.ts';

interface Inside {
  readonly addToRepository: typeof addToRepository;
  readonly problemInside: typeof problemInside;
}

/** `pnpm new-authenticator NAME`. What it writes is the same as `npm create @sallyport/authenticator` writes outside. */
export default async function generators(plop: PlopTypes.NodePlopAPI): Promise<void> {
  const root = plop.getDestBasePath();
  // Not bundled into this file, which would lose where the templates are.
  const source: string = new URL(`file://${root}/packages/create-authenticator/src/inside.ts`).href;
  const inside: Inside = await import(source);
  plop.setGenerator('authenticator', {
    description: 'An authenticator plugin, packages/authenticator-NAME',
    prompts: [
      {
        type: 'input',
        name: 'name',
        message: 'Its name, such as my-plugin:',
        validate: (name: string) => inside.problemInside(root, name)?.message ?? true,
      },
    ],
    actions: [
      async ({ name }) => {
        process.stdout.write(await inside.addToRepository(root, String(name)));
        return `created packages/authenticator-${name}`;
      },
    ],
  });
}
