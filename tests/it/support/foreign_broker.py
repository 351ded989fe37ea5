"""A service broker on openbrokerapi, as a stranger would write one: buckets in memory, a plan that is made at once and one that
takes two polls. GET /state shows what it really holds. Ends when it is killed."""

import logging
import sys

from flask import Flask, jsonify
from openbrokerapi import api, errors
from openbrokerapi.catalog import ServicePlan
from openbrokerapi.service_broker import (
    Binding,
    BindState,
    DeprovisionServiceSpec,
    GetBindingSpec,
    GetInstanceDetailsSpec,
    LastOperation,
    OperationState,
    ProvisionedServiceSpec,
    ProvisionState,
    Service,
    ServiceBroker,
    UnbindSpec,
    UpdateServiceSpec,
)
from werkzeug.serving import make_server

NOW, LATER = "plan-at-once", "plan-later"


class Buckets(ServiceBroker):
    def __init__(self):
        self.instances, self.bindings, self.polls = {}, {}, {}

    def catalog(self):
        plans = [
            ServicePlan(id=NOW, name="at-once", description="Made at once"),
            ServicePlan(id=LATER, name="later", description="Takes a while"),
        ]
        return Service(
            id="buckets-1",
            name="buckets",
            description="Buckets of somebody else",
            bindable=True,
            plans=plans,
            plan_updateable=True,
            instances_retrievable=True,
            bindings_retrievable=True,
        )

    def provision(self, instance_id, details, async_allowed, **kwargs):
        order = (details.plan_id, details.parameters)
        if instance_id in self.instances:
            if self.instances[instance_id]["order"] != order:
                raise errors.ErrInstanceAlreadyExists()
            return ProvisionedServiceSpec(state=ProvisionState.IDENTICAL_ALREADY_EXISTS)
        later = details.plan_id == LATER
        if later and not async_allowed:
            raise errors.ErrAsyncRequired()
        who = (details.originating_identity or {}).get("value")
        self.instances[instance_id] = {"order": order, "context": details.context, "who": who}
        url = "https://buckets.example/" + instance_id
        if later:
            self.polls[instance_id] = 2
            return ProvisionedServiceSpec(state=ProvisionState.IS_ASYNC, dashboard_url=url, operation="make it")
        return ProvisionedServiceSpec(dashboard_url=url)

    def get_instance(self, instance_id, **kwargs):
        if instance_id not in self.instances:
            raise errors.ErrInstanceDoesNotExist()
        plan_id, parameters = self.instances[instance_id]["order"]
        return GetInstanceDetailsSpec(service_id="buckets-1", plan_id=plan_id, parameters=parameters)

    def update(self, instance_id, details, async_allowed, **kwargs):
        plan_id, parameters = self.instances[instance_id]["order"]
        order = (details.plan_id or plan_id, {**(parameters or {}), **(details.parameters or {})})
        self.instances[instance_id]["order"] = order
        return UpdateServiceSpec(is_async=False)

    def deprovision(self, instance_id, details, async_allowed, **kwargs):
        if instance_id not in self.instances:
            raise errors.ErrInstanceDoesNotExist()
        if details.plan_id == LATER and async_allowed:
            self.polls[instance_id] = 1
            return DeprovisionServiceSpec(is_async=True, operation="remove it")
        del self.instances[instance_id]
        return DeprovisionServiceSpec(is_async=False)

    def bind(self, instance_id, binding_id, details, async_allowed, **kwargs):
        credentials = {"bucket": instance_id, "key": "key-of-" + binding_id}
        known = binding_id in self.bindings
        self.bindings[binding_id] = credentials
        state = BindState.IDENTICAL_ALREADY_EXISTS if known else BindState.SUCCESSFUL_BOUND
        return Binding(state=state, credentials=credentials)

    def get_binding(self, instance_id, binding_id, **kwargs):
        if binding_id not in self.bindings:
            raise errors.ErrBindingDoesNotExist()
        return GetBindingSpec(credentials=self.bindings[binding_id])

    def unbind(self, instance_id, binding_id, details, async_allowed, **kwargs):
        if self.bindings.pop(binding_id, None) is None:
            raise errors.ErrBindingDoesNotExist()
        return UnbindSpec(is_async=False)

    def last_operation(self, instance_id, operation_data, **kwargs):
        left = self.polls.get(instance_id, 0)
        self.polls[instance_id] = left - 1
        if left > 0:
            return LastOperation(OperationState.IN_PROGRESS, operation_data)
        if operation_data == "remove it":
            self.instances.pop(instance_id, None)
        return LastOperation(OperationState.SUCCEEDED, operation_data)

    def last_binding_operation(self, instance_id, binding_id, operation_data, **kwargs):
        return LastOperation(OperationState.SUCCEEDED)


def main():
    buckets = Buckets()
    app = Flask(__name__)
    credentials = api.BrokerCredentials(sys.argv[1], sys.argv[2])
    app.register_blueprint(api.get_blueprint(buckets, credentials, logging.getLogger("buckets")))

    @app.get("/state")
    def state():
        return jsonify(instances=buckets.instances, bindings=buckets.bindings)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


main()
