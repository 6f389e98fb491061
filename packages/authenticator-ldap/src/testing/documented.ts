/** The filter that docs/login-browser.md shows for users of OpenLDAP who log in in a browser, for the tests of documents. */
export const documentedFilter = '(employeeNumber={username})';
