import { describe, expect, test } from 'vitest';
import { planSetup, testTools } from './test-tools.ts';

const tools = [
  { name: 'curl', command: 'curl', use: 'fetches' },
  { name: 'slapd-package', command: 'slapd', use: 'answers' },
];
const machine = (commands: readonly string[], canInstall: boolean) => ({
  has: (command: string) => commands.includes(command),
  canInstall,
});

describe('planSetup', () => {
  test.each([true, false])(
    'has nothing to do where all tools are installed (may install: %s)',
    (canInstall) => {
      expect(planSetup(tools, machine(['curl', 'slapd'], canInstall))).toEqual({
        kind: 'nothing',
        message: 'Everything that the tests need is installed: curl, slapd-package.',
      });
    },
  );

  test('installs the packages that are missing, and no other', () => {
    expect(planSetup(tools, machine(['curl'], true))).toEqual({
      kind: 'install',
      packages: ['slapd-package'],
      message: 'Debian packages to be installed for the tests:\n  slapd-package: answers',
    });
  });

  test('looks for the command, not for the name of its package', () => {
    expect(planSetup(tools, machine(['curl', 'slapd-package'], true))).toMatchObject({
      packages: ['slapd-package'],
    });
  });

  test('says exactly what is missing, and how to get it, where it may not install', () => {
    expect(planSetup(tools, machine([], false))).toEqual({
      kind: 'impossible',
      message: [
        'The tests need these tools, which are missing:',
        '  curl (Debian package curl): fetches',
        '  slapd (Debian package slapd-package): answers',
        'On Debian or Ubuntu: sudo apt-get install curl slapd-package',
      ].join('\n'),
    });
  });
});

test('names of packages and commands are such that a shell line may hold them', () => {
  for (const { name, command } of testTools) {
    expect(name).toMatch(/^[a-z0-9.+-]+$/);
    expect(command).toMatch(/^([a-z0-9.+-]+|(\/[A-Za-z0-9_.+-]+)+)$/);
  }
});
