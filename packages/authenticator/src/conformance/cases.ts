import { attemptsCases } from './abilities/attempts.ts';
import { checkableCases } from './abilities/checkable.ts';
import { checksIdTokensCases } from './abilities/checks-id-tokens.ts';
import { directoryOfOthersCases } from './abilities/directory-of-others.ts';
import { listsUsersCases } from './abilities/lists-users.ts';
import { lookUpCases } from './abilities/look-up.ts';
import { passwordLoginCases } from './abilities/password-login.ts';
import { recognizingCases } from './abilities/recognizing.ts';
import { revalidateCases } from './abilities/revalidate.ts';
import { userDirectoryCases } from './abilities/user-directory.ts';
import { versionsAnswersCases } from './abilities/versions-answers.ts';
import { abortCases } from './authenticator/aborts.ts';
import { concurrencyCases, identityCases, refusalCases } from './authenticator/decisions.ts';
import { forgedTokensCases } from './authenticator/forged-tokens.ts';
import { lifecycleCases, watchedFilesCases } from './authenticator/lifecycle.ts';
import { outageCases } from './authenticator/outages.ts';
import { secrecyCases } from './authenticator/secrecy.ts';
import type { CaseDefinition } from './kit.ts';
import { optionsCases, pluginShapeCases } from './plugin/options.ts';
import { schemaCases } from './plugin/schema.ts';

/** All cases, by the interface of the contract that they are about, in the order in which they run. */
export const cases: Readonly<Record<string, readonly CaseDefinition[]>> = {
  AuthenticatorPlugin: [...pluginShapeCases, ...schemaCases, ...optionsCases],
  Authenticator: [
    ...identityCases,
    ...refusalCases,
    ...forgedTokensCases,
    ...concurrencyCases,
    ...abortCases,
    ...outageCases,
    ...secrecyCases,
    ...watchedFilesCases,
    ...lifecycleCases,
  ],
  Recognizing: recognizingCases,
  Checkable: checkableCases,
  PasswordLogin: [...passwordLoginCases, ...attemptsCases],
  UserDirectory: [
    ...userDirectoryCases,
    ...lookUpCases,
    ...revalidateCases,
    ...directoryOfOthersCases,
  ],
  ListsUsers: listsUsersCases,
  ChecksIdTokens: checksIdTokensCases,
  VersionsAnswers: versionsAnswersCases,
};
