// A login with a code that arrives by text message, call or mail, as the official Auth0
// client for Node sees it.
//
//   node codes.mjs enroll      sends a code to a telephone or a mailbox that shall be a factor
//   node codes.mjs challenge   sends a code to one that is
//   node codes.mjs verify      sends the code back; prints tokens, or the refusal
//
// Each prints one line of JSON and ends with 0, or says what was not as expected and ends
// with 1. README.md lists the variables they take, each with SALLYPORT_ before its name.
import assert from 'node:assert/strict';
import { asksForMore, connect, offers, person } from './client.mjs';
import { chosen, needed, play, variable } from '../environment.mjs';

const step = chosen({ enroll, challenge, verify });
const auth0 = connect();

await play(step);

async function password() {
  return asksForMore(auth0.getTokenByPassword({ ...person(), audience: variable('AUDIENCE'), scope: 'openid profile' }));
}

/** A telephone needs its number; a mailbox is the user's own, whether it is named or not. */
async function enroll() {
  const channel = needed('CHANNEL');
  const { mfaToken, requirements } = await password();
  assert.equal(requirements.challenge, undefined, 'this user has a second factor already');
  assert.ok(offers(requirements.enroll, 'phone'), 'a telephone may be enrolled');
  const where = channel === 'email' ? { email: variable('EMAIL') } : { phoneNumber: needed('PHONE_NUMBER') };
  const wish = { authenticatorTypes: ['oob'], oobChannels: [channel], ...where, mfaToken };
  return orRefusal(async () => {
    const made = await auth0.mfa.enrollAuthenticator(wish);
    const { id, oobCode, recoveryCodes } = made;
    assert.deepEqual(made, {
      authenticatorType: 'oob', oobChannel: channel, oobCode, bindingMethod: 'prompt', id, barcodeUri: undefined, recoveryCodes,
    });
    assert.match(oobCode, /^[\w.~-]+$/);
    assert.match(recoveryCodes.join(' '), /^[A-Z0-9]{24}$/, 'the first factor comes with a recovery code');
    assert.ok(id.startsWith(`${channel}|dev_`));
    return { mfaToken, oobCode };
  });
}

/** Prints the list too: a telephone has a row for text messages and one for calls. */
async function challenge() {
  const { mfaToken, requirements } = await password();
  assert.equal(requirements.enroll, undefined, 'this user has no second factor yet');
  const rows = await auth0.mfa.listAuthenticators({ mfaToken });
  const row = rows.find(({ id }) => id.startsWith(`${needed('CHANNEL')}|`));
  assert.ok(row?.active, 'it is listed');
  assert.ok(offers(requirements.challenge, row.type), 'it can be challenged');
  return orRefusal(async () => {
    const asked = await auth0.mfa.challengeAuthenticator({ challengeType: 'oob', authenticatorId: row.id, mfaToken });
    assert.deepEqual(asked, { challengeType: 'oob', oobCode: asked.oobCode, bindingMethod: 'prompt' });
    return { mfaToken, oobCode: asked.oobCode, rows };
  });
}

async function verify() {
  const proof = { factorType: 'oob', oobCode: needed('OOB_CODE'), bindingCode: needed('CODE'), mfaToken: needed('MFA_TOKEN') };
  return orRefusal(() => auth0.mfa.verify(proof));
}

/** What a call returns, or what the gateway says against it. */
async function orRefusal(call) {
  try {
    return await call();
  } catch (refusal) {
    if (!refusal.cause?.error) throw refusal;
    const { error, error_description: description, statusCode = refusal.statusCode } = refusal.cause;
    return { status: statusCode, error, description };
  }
}
