"""A service broker on openbrokerapi, as a stranger would write one: buckets in memory, a plan that is made at once and one that
takes two polls; what the framework's documentation leaves to brokers is done right. GET /state shows what it really holds. Ends when it is killed."""

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

SERVICE, NOW, LATER = "buckets-1", "plan-at-once", "plan-later"
MAKE, REMOVE = "make it", "remove it"


def check(details):
    if details.service_id != SERVICE:
        raise errors.ErrBadRequest("there is no such offering")


class Buckets(ServiceBroker):
    def __init__(self):
        self.instances, self.bindings, self.polls, self.making = {}, {}, {}, set()

    def catalog(self):
        plans = [
            ServicePlan(id=NOW, name="at-once", description="Made at once"),
            ServicePlan(id=LATER, name="later", description="Takes a while"),
        ]
        return Service(
            id=SERVICE,
            name="buckets",
            description="Buckets of somebody else",
            bindable=True,
            plans=plans,
            plan_updateable=True,
            instances_retrievable=True,
            bindings_retrievable=True,
        )

    def provision(self, instance_id, details, async_allowed, **kwargs):
        check(details)
        order = (details.plan_id, details.parameters or {})
        place = (details.organization_guid, details.space_guid)
        url = "https://buckets.example/" + instance_id
        if instance_id in self.instances:
            known = self.instances[instance_id]
            if (known["order"], known["place"]) != (order, place):
                raise errors.ErrInstanceAlreadyExists()
            if instance_id in self.making:
                return ProvisionedServiceSpec(state=ProvisionState.IS_ASYNC, dashboard_url=url, operation=MAKE)
            return ProvisionedServiceSpec(state=ProvisionState.IDENTICAL_ALREADY_EXISTS, dashboard_url=url)
        later = details.plan_id == LATER
        if later and not async_allowed:
            raise errors.ErrAsyncRequired()
        who = (details.originating_identity or {}).get("value")
        self.instances[instance_id] = {"order": order, "place": place, "context": details.context, "who": who}
        if later:
            self.polls[instance_id] = 2
            self.making.add(instance_id)
            return ProvisionedServiceSpec(state=ProvisionState.IS_ASYNC, dashboard_url=url, operation=MAKE)
        return ProvisionedServiceSpec(dashboard_url=url)

    def get_instance(self, instance_id, **kwargs):
        if instance_id not in self.instances or instance_id in self.making:
            raise errors.ErrInstanceDoesNotExist()
        plan_id, parameters = self.instances[instance_id]["order"]
        return GetInstanceDetailsSpec(service_id=SERVICE, plan_id=plan_id, parameters=parameters)

    def update(self, instance_id, details, async_allowed, **kwargs):
        check(details)
        self.must_exist(instance_id)
        plan_id, parameters = self.instances[instance_id]["order"]
        order = (details.plan_id or plan_id, {**parameters, **(details.parameters or {})})
        self.instances[instance_id]["order"] = order
        return UpdateServiceSpec(is_async=False)

    def deprovision(self, instance_id, details, async_allowed, **kwargs):
        check(details)
        if instance_id not in self.instances:
            raise errors.ErrInstanceDoesNotExist()
        if details.plan_id == LATER and async_allowed:
            self.polls[instance_id] = 1
            return DeprovisionServiceSpec(is_async=True, operation=REMOVE)
        self.forget(instance_id)
        return DeprovisionServiceSpec(is_async=False)

    def bind(self, instance_id, binding_id, details, async_allowed, **kwargs):
        check(details)
        self.must_exist(instance_id)
        app = details.bind_resource.app_guid if details.bind_resource else details.app_guid
        order = [instance_id, details.plan_id, details.parameters or {}, app]
        credentials = {"bucket": instance_id, "key": "key-of-" + binding_id}
        if binding_id in self.bindings:
            if self.bindings[binding_id]["order"] != order:
                raise errors.ErrBindingAlreadyExists()
            return Binding(state=BindState.IDENTICAL_ALREADY_EXISTS, credentials=credentials)
        self.bindings[binding_id] = {"order": order, "credentials": credentials}
        return Binding(state=BindState.SUCCESSFUL_BOUND, credentials=credentials)

    def get_binding(self, instance_id, binding_id, **kwargs):
        held = self.bindings.get(binding_id)
        if held is None or held["order"][0] != instance_id:
            raise errors.ErrBindingDoesNotExist()
        return GetBindingSpec(credentials=held["credentials"], parameters=held["order"][2])

    def unbind(self, instance_id, binding_id, details, async_allowed, **kwargs):
        check(details)
        if self.bindings.pop(binding_id, None) is None:
            raise errors.ErrBindingDoesNotExist()
        return UnbindSpec(is_async=False)

    def must_exist(self, instance_id):
        # The framework has an error for this and answers it 500 here; this one it answers 400.
        if instance_id not in self.instances:
            raise errors.ErrBadRequest("there is no such instance")

    def forget(self, instance_id):
        self.instances.pop(instance_id, None)
        self.bindings = {key: held for key, held in self.bindings.items() if held["order"][0] != instance_id}

    def last_operation(self, instance_id, operation_data, **kwargs):
        if instance_id not in self.instances:
            raise errors.ErrInstanceDoesNotExist()
        left = self.polls.get(instance_id, 0)
        self.polls[instance_id] = left - 1
        if left > 0:
            return LastOperation(OperationState.IN_PROGRESS, operation_data)
        self.making.discard(instance_id)
        if operation_data == REMOVE:
            self.forget(instance_id)
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
