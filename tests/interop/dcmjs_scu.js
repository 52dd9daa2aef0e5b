// A verification and storage SCU of dcmjs-dimse; it reports one event a line and ends with 0 if all went well.
// node dcmjs_scu.js '{"port": ..., "files": [...], "called": ..., "max_pdu": ..., "contexts": 0, "abort": false,
//                      "echoes": 1, "window": 1, "tls": null or security options with paths of files}'; the echoes are sent where there are no files
'use strict';

console.warn = console.info = () => {}; // dcmjs prints a line for every private element: before it is loaded
const fs = require('fs');
const { Client, Implementation, association, constants, log, requests } = require('dcmjs-dimse');

const options = JSON.parse(process.argv[2]);
let good = true;
let answered = 0;

function withFiles(security) {
  const files = ['key', 'cert', 'ca'].filter((name) => security[name]);
  return { ...security, ...Object.fromEntries(files.map((name) => [name, fs.readFileSync(security[name])])) };
}

function report(event, facts) {
  fs.writeSync(1, JSON.stringify({ event, ...facts }) + '\n');
}

function fail(event, facts) {
  good = false;
  report(event, facts);
}

function requestFor(file) {
  const request = file ? new requests.CStoreRequest(file) : new requests.CEchoRequest();
  request.on('response', (response) => {
    const status = response.getStatus();
    answered += 1;
    (status === constants.Status.Success ? report : fail)('response', { status });
    if (options.abort) {
      client.abort(constants.AbortSource.ServiceUser, constants.AbortReason.NotSpecified);
    }
  });
  return request;
}

function addContexts(count) {
  const classes = Object.values(constants.StorageClass).slice(0, count);
  classes.forEach((uid) => {
    const context = new association.PresentationContext(0, uid);
    context.addTransferSyntaxUid(constants.TransferSyntax.ExplicitVRLittleEndian);
    client.addAdditionalPresentationContext(context, true);
  });
}

log.setLevel('error');
Implementation.setMaxPduLength(options.max_pdu);
const client = new Client();
const files = options.files.length ? options.files : new Array(options.echoes || 1).fill(null);
files.forEach((file) => client.addRequest(requestFor(file)));
addContexts(options.contexts);
client.on('associationAccepted', (accepted) => {
  const results = accepted.getPresentationContexts().map(({ id }) => accepted.getPresentationContext(id).getResult());
  report('accepted', { max_length: accepted.getMaxPduLength(), contexts: results.filter((one) => one === 0).length });
  setImmediate(() => {
    for (let more = 1; more < accepted.getMaxAsyncOpsInvoked(); more += 1) {
      client.network.sendRequests([]); // by itself it sends the next request when one is answered, window or not
    }
  });
});
client.on('associationRejected', (result) => fail('rejected', result));
let released = false;
client.on('associationReleased', () => {
  released = true;
  report('released');
});
client.on('networkError', (error) => {
  if (!(released && options.window > 1)) { // each of its chains of requests asks for a release of its own
    fail('failed', { message: error.message });
  }
});
client.on('closed', () => {
  const asked = files.length;
  if (good && answered < asked) {
    fail('failed', { message: `${answered} of ${asked} requests were sent and answered` }); // it skips what it cannot send
  }
  process.exit(good ? 0 : 1);
});
const asyncOps = options.window > 1 ? { maxAsyncOpsInvoked: options.window, maxAsyncOpsPerformed: 1 } : undefined;
client.send('127.0.0.1', options.port, 'DCMJS', options.called, {
  connectTimeout: 15000,
  pduTimeout: 15000,
  asyncOps,
  securityOptions: options.tls ? withFiles(options.tls) : undefined,
  associationLingerTimeout: asyncOps ? 500 : 0, // it releases as soon as it has nothing more to send
});
client.network.on('abort', (abort) => {
  fail('aborted', abort);
  client.network.socket.destroy(); // dcmjs-dimse itself would wait for its time limit
});
