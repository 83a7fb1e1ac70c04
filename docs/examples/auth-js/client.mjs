// What the examples with a client secret share: the official client, and what they ask of it.
import assert from 'node:assert/strict';
import { AuthClient, isMfaRequiredError } from '@auth0/auth0-auth-js';
import { needed } from '../environment.mjs';

/** The official client; a prefix tells the variables of a second one from the first. */
export function connect(prefix = '') {
  return new AuthClient({
    domain: needed('DOMAIN'), clientId: needed(`${prefix}CLIENT_ID`), clientSecret: needed(`${prefix}CLIENT_SECRET`),
  });
}

/** Who logs in. */
export function person() {
  return { username: needed('USERNAME'), password: needed('PASSWORD') };
}

/** A call that the gateway must answer with the wish for a second factor. */
export async function asksForMore(call) {
  const refusal = await failure(call);
  if (!isMfaRequiredError(refusal)) throw refusal;
  assert.equal(refusal.statusCode, 403);
  assert.equal(refusal.cause.error_description, 'Multifactor authentication required');
  return { mfaToken: refusal.cause.mfa_token, requirements: refusal.cause.mfa_requirements };
}

/** A call that must be refused with this status, code and text. */
export async function refused(call, status, code, description) {
  const refusal = await failure(call);
  assert.equal(refusal.cause?.error, code, refusal.message);
  assert.equal(refusal.cause.error_description, description);
  assert.equal(refusal.statusCode, status);
}

/** Whether requirements name a type of factor. */
export function offers(list, type) {
  return list?.some((factor) => factor.type === type) ?? false;
}

/** The error of a call that must fail. */
export async function failure(call) {
  return call.then(() => assert.fail('this call must fail, and did not'), (error) => error);
}
