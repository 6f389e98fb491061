import { appPage as makeAppPage } from '../app-page.ts';
import { codePage as makeCodePage, confirmPage as makeConfirmPage } from '../confirm-page.ts';
import { defaultBrand, type Page, writePage } from '../document.ts';
import { factorPage as makeFactorPage } from '../factor-page.ts';
import { factorsPage as makeFactorsPage } from '../factors-page.ts';
import { loginPage as makeLoginPage } from '../login-page.ts';
import { messagePage as makeMessagePage } from '../message-page.ts';
import { recoveryCodesPage as makeRecoveryCodesPage } from '../recovery-codes-page.ts';

const publicUrl = 'https://login.example.com';

/** Makes a page and writes it as it is sent. */
const writeWith =
  <Options>(makePage: (options: Options) => Page) =>
  (options: Options): string =>
    writePage(makePage(options), { publicUrl, brand: defaultBrand }).body;

export const appPage = writeWith(makeAppPage);
export const codePage = writeWith(makeCodePage);
export const confirmPage = writeWith(makeConfirmPage);
export const factorPage = writeWith(makeFactorPage);
export const factorsPage = writeWith(makeFactorsPage);
export const loginPage = writeWith(makeLoginPage);
export const messagePage = writeWith(makeMessagePage);
export const recoveryCodesPage = writeWith(makeRecoveryCodesPage);
