// An identity provider: the certified `oidc-provider` with people who get tokens by client credentials (a client is a user of that
// name), a public client for the device flow, and one for a hub's portal (authorization code), whose people sign in on a page that asks
// for a name and nothing else. Ends when it is killed.
//
// POST /control/rotate makes new keys (?keep: the old ones stay published), /control/away?on=1 answers nothing but this any more,
// /control/consent?code=…&account=… says yes in a browser's place.

import { createRequire } from "node:module";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

// An import of a module doesn't look into NODE_PATH, `require` does.
const entry = createRequire(import.meta.url).resolve("oidc-provider");
const { Provider } = await import(pathToFileURL(path.resolve(entry)));

const users = JSON.parse(process.argv[2]);
const AUDIENCE = "urn:bourse";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

function key(type, options, alg) {
    const { privateKey } = generateKeyPairSync(type, options);
    return { ...privateKey.export({ format: "jwk" }), use: "sig", alg, kid: randomUUID() };
}

function keys() {
    return [
        key("rsa", { modulusLength: 2048 }, "RS256"),
        key("rsa", { modulusLength: 2048 }, "PS256"),
        key("ec", { namedCurve: "P-256" }, "ES256"),
        key("ed25519", {}, "EdDSA"),
    ];
}

let published = keys();
let issuer;
let provider;
let away = false;

function start() {
    provider = new Provider(issuer, {
        jwks: { keys: published },
        clients: [
            ...Object.keys(users).map((name) => ({
                client_id: name,
                client_secret: "secret",
                grant_types: ["client_credentials"],
                redirect_uris: [],
                response_types: [],
            })),
            {
                client_id: "bourse-cli",
                token_endpoint_auth_method: "none",
                application_type: "native",
                grant_types: [DEVICE, "refresh_token"],
                redirect_uris: [],
                response_types: [],
            },
            {
                client_id: "bourse-portal",
                client_secret: "portal secret",
                // Of a native client any port of this machine will do (RFC 8252, section 7.3).
                application_type: "native",
                grant_types: ["authorization_code"],
                redirect_uris: ["http://127.0.0.1/sign-in/callback"],
                response_types: ["code"],
            },
        ],
        claims: { openid: ["sub", "groups"] },
        conformIdTokenClaims: false,
        interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
        enabledJWA: {
            idTokenSigningAlgValues: ["RS256", "PS256", "ES256", "EdDSA"],
        },
        features: {
            clientCredentials: { enabled: true },
            deviceFlow: { enabled: true },
            devInteractions: { enabled: false },
            resourceIndicators: {
                enabled: true,
                defaultResource: () => undefined,
                useGrantedResource: () => true,
                getResourceServerInfo: (_, resource) => ({
                    scope: "api",
                    audience: resource.startsWith(AUDIENCE) ? AUDIENCE : resource,
                    accessTokenFormat: "jwt",
                    accessTokenTTL: 600,
                    jwt: { sign: { alg: resource.split("#").pop().split(":")[2] ?? "RS256" } },
                }),
            },
        },
        ttl: { AccessToken: 600, ClientCredentials: 600, DeviceCode: 600, RefreshToken: 3600, Grant: 3600 },
        extraTokenClaims: (_, token) => ({ groups: users[token.accountId ?? token.clientId] ?? [] }),
        findAccount: (_, id) => (id in users ? { accountId: id, claims: () => ({ sub: id, groups: users[id] }) } : undefined),
        issueRefreshToken: () => true,
        rotateRefreshToken: true,
    });
    const report = (_, error) => console.error(error.error, error.error_description ?? error.message, error.stack);
    provider.on("server_error", report);
    provider.on("grant.error", (_, error) => console.error(error.error, error.error_description, error.error_detail));
}

async function consent(userCode, accountId) {
    const code = await provider.DeviceCode.findByUserCode(userCode.replaceAll("-", ""), { ignoreExpiration: false });
    const { resource } = code.params;
    const grant = new provider.Grant({ accountId, clientId: code.clientId });
    grant.addOIDCScope("openid offline_access");
    grant.addResourceScope(resource, "api");
    const authTime = Math.floor(Date.now() / 1000);
    const scope = code.params.scope;
    Object.assign(code, { accountId, authTime, grantId: await grant.save(), resource, scope });
    await code.save();
}

// Somebody says who they are.
async function interact(request, response) {
    if (request.method !== "POST") {
        response.setHeader("content-type", "text/html");
        response.end(`<!doctype html><html lang="en"><title>Sign in</title><form method="post"><label>Name <input name="account" autofocus>
            </label><button>Sign in</button></form></html>`);
        return;
    }
    let body = "";
    for await (const chunk of request) body += chunk;
    const accountId = new URLSearchParams(body).get("account");
    const { params } = await provider.interactionDetails(request, response);
    const grant = new provider.Grant({ accountId, clientId: params.client_id });
    grant.addOIDCScope("openid");
    const result = { login: { accountId }, consent: { grantId: await grant.save() } };
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

async function control(url) {
    switch (url.pathname) {
        case "/control/rotate":
            published = url.searchParams.has("keep") ? [...keys(), ...published] : keys();
            return start();
        case "/control/away":
            away = url.searchParams.get("on") === "1";
            return undefined;
        case "/control/consent":
            return consent(url.searchParams.get("code"), url.searchParams.get("account"));
        default:
            throw new Error("no such control");
    }
}

const server = http.createServer((request, response) => {
    const url = new URL(request.url, issuer);
    if (url.pathname.startsWith("/control/")) {
        control(url).then(
            () => response.writeHead(204).end(),
            (error) => response.writeHead(500).end(String(error.stack)),
        );
    } else if (away) {
        request.socket.destroy();
    } else if (url.pathname.startsWith("/interaction/")) {
        interact(request, response).catch((error) => response.writeHead(500).end(String(error.stack)));
    } else {
        provider.callback()(request, response);
    }
});

server.listen(0, "127.0.0.1", () => {
    issuer = `http://127.0.0.1:${server.address().port}`;
    start();
    console.log(`listening on ${issuer}`);
});
