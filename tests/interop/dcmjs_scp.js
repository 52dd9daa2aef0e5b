// A storage and verification SCP of dcmjs-dimse that keeps the bytes it receives and reports one event a line.
// node dcmjs_scp.js '{"folder": ..., "called": null or AE title, "max_pdu": ..., "abort_on_store": ...,
//                     "tls": null or security options with paths of files}'
'use strict';

console.warn = console.info = () => {}; // dcmjs prints a line for every private element: before it is loaded
const fs = require('fs');
const net = require('net');
const path = require('path');
const { Writable } = require('stream');
const { Scp, Server, constants, log, responses } = require('dcmjs-dimse');

const options = JSON.parse(process.argv[2]);
const { AbortReason, AbortSource, PresentationContextResult, RejectReason, RejectResult, RejectSource } = constants;
let count = 0;

function withFiles(security) {
  const files = ['key', 'cert', 'ca'].filter((name) => security[name]);
  return { ...security, ...Object.fromEntries(files.map((name) => [name, fs.readFileSync(security[name])])) };
}

function report(event, facts) {
  fs.writeSync(1, JSON.stringify({ event, ...facts }) + '\n'); // synchronous: an event is out before what follows it
}

// What a data set arrives in; dcmjs-dimse asks for toBuffer() at its end.
class Bytes extends Writable {
  constructor() {
    super({ highWaterMark: 1 << 30 });
    this.chunks = [];
  }

  _write(chunk, encoding, done) {
    this.chunks.push(Buffer.from(chunk));
    done();
  }

  toBuffer() {
    return Buffer.concat(this.chunks);
  }
}

class KeepingScp extends Scp {
  createStoreWritableStream() {
    return new Bytes();
  }

  createDatasetFromStoreWritableStream(stream, context, callback) {
    this.bytes = stream.toBuffer();
    this.syntax = context.getAcceptedTransferSyntaxUid();
    callback(undefined); // the bytes are wanted, not what dcmjs makes of them
  }

  associationRequested(association) {
    this.association = association;
    if (options.called && association.getCalledAeTitle() !== options.called) {
      const reason = RejectReason.CalledAeNotRecognized;
      this.sendAssociationReject(RejectResult.Permanent, RejectSource.ServiceUser, reason);
      return;
    }
    const asked = association.getMaxPduLength();
    const contexts = association.getPresentationContexts();
    association.setMaxPduLength(options.max_pdu);
    contexts.forEach(({ id }) => {
      const context = association.getPresentationContext(id);
      context.setResult(PresentationContextResult.Accept, context.getTransferSyntaxUids()[0]);
    });
    this.sendAssociationAccept();
    report('accepted', {
      calling: association.getCallingAeTitle(),
      called: association.getCalledAeTitle(),
      max_length: asked,
      contexts: contexts.length,
    });
  }

  cEchoRequest(request, callback) {
    const response = responses.CEchoResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
  }

  cStoreRequest(request, callback) {
    if (options.abort_on_store) {
      this.sendAbort(AbortSource.ServiceUser, AbortReason.NotSpecified);
      return;
    }
    const file = path.join(options.folder, `${++count}.bin`);
    fs.writeFileSync(file, this.bytes);
    report('stored', { instance: request.getAffectedSopInstanceUid(), syntax: this.syntax, file });
    const response = responses.CStoreResponse.fromRequest(request);
    response.setStatus(constants.Status.Success);
    callback(response);
  }

  associationReleaseRequested() {
    this.sendAssociationReleaseResponse();
    report('released');
  }

  abort(source, reason) {
    report('aborted', { source, reason });
  }
}

// dcmjs-dimse would listen on every address of the machine: keep it on the loopback.
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port) {
  return listen.call(this, port, '127.0.0.1');
};

log.setLevel('error');
const server = new Server(KeepingScp);
server.on('listening', () => report('listening', { port: server.server.address().port }));
server.on('networkError', (error) => report('failed', { message: error.message }));
server.listen(0, options.tls ? { securityOptions: withFiles(options.tls) } : {});
