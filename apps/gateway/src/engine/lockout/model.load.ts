import { testHistories } from './testing/random-histories.ts';

testHistories('in any order of many events the rules hold', 200);
