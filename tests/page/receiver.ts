// A webhook's far end, on this machine: it keeps what it was sent, and answers as it is told.
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Message {
  headers: IncomingHttpHeaders;
  body: string;
}

export class Receiver {
  status = 200;
  text = 'thank you';
  readonly heard: Message[] = [];
  private constructor(private readonly server: Server) {}

  static async start() {
    const server = createServer();
    const receiver = new Receiver(server);
    server.on('request', async (request, response) => {
      let body = '';
      for await (const piece of request) body += piece;
      receiver.heard.push({ headers: request.headers, body });
      response.writeHead(receiver.status).end(receiver.text);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get host() {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get url() {
    return `http://${this.host}/hooks/secret-part`;
  }

  /** The events that it was told of, in this order. */
  get events(): string[] {
    return this.heard.map(({ body }) => JSON.parse(body).type);
  }

  end() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

/** Whether a message is signed with this secret, as Standard Webhooks say. */
export function isSigned({ headers, body }: Message, secret: string): boolean {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const signature = `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
  return String(headers['webhook-signature']).split(' ').includes(signature);
}
