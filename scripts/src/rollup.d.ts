/** The types of rollup-license-plugin name it. Its plugins are rolldown's, too. */
declare module 'rollup' {
  export type Plugin = import('tsdown').Rolldown.Plugin;
}
