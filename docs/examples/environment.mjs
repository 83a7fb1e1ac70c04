// What the examples for Node have from outside: variables in, a line out.
import { basename } from 'node:path';

/** A variable of the environment; a prefix keeps it from those that shells have. */
export function variable(name) {
  return process.env[`SALLYPORT_${name}`] || undefined;
}

/** A variable that must be set. */
export function needed(name) {
  return variable(name) ?? stop(`set SALLYPORT_${name}; README.md says how`);
}

/** The step that the command line names. */
export function chosen(steps) {
  const [, program, name] = process.argv;
  return steps[name] ?? stop(`usage: node ${basename(program)} ${Object.keys(steps).join('|')}`);
}

/** Prints what a step returns as JSON, or in a line what failed. */
export async function play(step) {
  try {
    console.log(JSON.stringify(await step()));
  } catch (error) {
    stop(`${step.name}: ${reasons(error).join(': ')}`);
  }
}

/** Says a line and ends with 1. */
export function stop(text) {
  console.error(text);
  process.exit(1);
}

/** What an error and its causes say. */
function reasons(error) {
  const text = error?.error_description ?? error?.message?.split('\n')[0];
  return error ? [text || error.code, ...reasons(error.cause)].filter(Boolean) : [];
}
