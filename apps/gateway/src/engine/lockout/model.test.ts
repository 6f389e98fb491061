import { testHistories } from './testing/random-histories.ts';

// `model.load.ts` plays many times as many.
testHistories('in any order of events the rules hold', 25);
