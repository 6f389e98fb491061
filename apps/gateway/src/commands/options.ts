import { Option } from 'commander';

export const configOption = (): Option =>
  new Option('--config <file>', 'the gateway.yaml to use').env('SALLYPORT_CONFIG');

export const outputOption = (): Option =>
  new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text');
