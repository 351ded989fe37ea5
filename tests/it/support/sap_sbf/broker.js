// A service broker on @sap/sbf, as a stranger would write one: queues in memory, a plan that is made at once and one that takes
// two polls. GET /state shows what it really holds. Ends when it is killed.
//
// It uses what the framework documents and nothing behind it: hooks, and errors with a `statusCode`. What the documentation leaves
// to brokers is done right.

"use strict";

const { isDeepStrictEqual } = require("node:util");
const ServiceBroker = require("@sap/sbf");

const NOW = "plan-at-once";
const LATER = "plan-later";
const instances = {};
const bindings = {};
const polls = {};
const making = new Set();
const gone = new Set();

const catalog = {
    services: [
        {
            id: "queues-1",
            name: "queues",
            description: "Queues of somebody else",
            bindable: true,
            plan_updateable: true,
            instances_retrievable: true,
            bindings_retrievable: true,
            plans: [
                { id: NOW, name: "at-once", description: "Made at once" },
                { id: LATER, name: "later", description: "Takes a while" },
            ],
        },
    ],
};

function refuse(statusCode, message) {
    return Object.assign(new Error(message), { statusCode });
}

function attributes({ service_id, plan_id, parameters, organization_guid, space_guid }) {
    return { service_id, plan_id, parameters: parameters ?? {}, organization_guid, space_guid };
}

function onProvision(params, done) {
    const { instance_id: id, plan_id, accepts_incomplete, context } = params;
    const order = attributes(params);
    if (instances[id]) {
        if (!isDeepStrictEqual(instances[id].order, order)) {
            return done(refuse(409, "the instance exists with other attributes"));
        }
        return done(null, made(id));
    }
    const answer = { dashboard_url: `https://queues.example/${id}` };
    if (plan_id === LATER) {
        if (accepts_incomplete !== "true") {
            return done(refuse(422, "this plan takes a while: it has to be polled"));
        }
        polls[id] = 2;
        making.add(id);
    }
    instances[id] = { order, context, answer };
    done(null, made(id));
}

// A new object each time: the framework changes what it is given.
function made(id) {
    return { ...instances[id].answer, ...(making.has(id) && { async: true, operation: "make" }) };
}

function onUpdate(params, done) {
    const held = instances[params.instance_id];
    if (!held) {
        return done(refuse(404, "there is no such instance"));
    }
    held.order.plan_id = params.plan_id ?? held.order.plan_id;
    held.order.parameters = { ...held.order.parameters, ...params.parameters };
    done(null, {});
}

function onDeprovision({ instance_id: id, plan_id, accepts_incomplete }, done) {
    if (!instances[id]) {
        return done(refuse(410, "there is no such instance"));
    }
    if (plan_id === LATER && accepts_incomplete === "true") {
        polls[id] = 1;
        return done(null, { async: true, operation: "remove" });
    }
    forget(id);
    done(null, {});
}

function forget(id) {
    gone.add(id);
    delete instances[id];
    for (const [binding, { instance_id }] of Object.entries(bindings)) {
        if (instance_id === id) {
            delete bindings[binding];
        }
    }
}

function onLastOperation({ instance_id: id, operation }, done) {
    if (!instances[id]) {
        return done(refuse(gone.has(id) ? 410 : 404, "there is no such instance"));
    }
    polls[id] = (polls[id] ?? 0) - 1;
    if (polls[id] >= 0) {
        return done(null, { state: "in progress" });
    }
    making.delete(id);
    if (operation === "remove") {
        forget(id);
    }
    done(null, { state: "succeeded" });
}

function onFetchInstanceParams({ instance_id }, done) {
    const held = instances[instance_id];
    if (!held || making.has(instance_id)) {
        return done(refuse(404, "there is no such instance"));
    }
    const { service_id, plan_id, parameters } = held.order;
    done(null, { service_id, plan_id, parameters, dashboard_url: held.answer.dashboard_url });
}

function onBind({ instance_id, binding_id, plan_id, parameters, bind_resource }, done) {
    if (!instances[instance_id]) {
        return done(refuse(404, "there is no such instance"));
    }
    const order = { instance_id, plan_id, parameters: parameters ?? {}, bind_resource };
    if (bindings[binding_id] && !isDeepStrictEqual(bindings[binding_id], order)) {
        return done(refuse(409, "the binding exists with other attributes"));
    }
    bindings[binding_id] = order;
    done(null, { credentials: credentials(instance_id, binding_id) });
}

function credentials(instance_id, binding_id) {
    return { queue: instance_id, key: `key-of-${binding_id}` };
}

function onFetchBindingParams({ instance_id, binding_id }, done) {
    const held = bindings[binding_id];
    if (!held || held.instance_id !== instance_id) {
        return done(refuse(404, "there is no such binding"));
    }
    done(null, { credentials: credentials(instance_id, binding_id), parameters: held.parameters });
}

function onUnbind({ binding_id }, done) {
    if (!bindings[binding_id]) {
        return done(refuse(410, "there is no such binding"));
    }
    delete bindings[binding_id];
    done(null, {});
}

const [username, password] = process.argv.slice(2);
const broker = new ServiceBroker({
    catalog,
    brokerCredentials: { [username]: password },
    autoCredentials: false,
    enableAuditLog: false,
    hooks: {
        onProvision,
        onUpdate,
        onDeprovision,
        onLastOperation,
        onFetchInstanceParams,
        onBind,
        onFetchBindingParams,
        onUnbind,
    },
});
broker.app.get("/state", (request, response) => response.json({ instances, bindings }));
const server = broker.app.listen(0, "127.0.0.1", () => {
    console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
