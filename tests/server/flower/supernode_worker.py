"""A small worker beside a SuperNode: it takes tasks and lets the test clinics' app do them, without Keras.

Arguments: address of the SuperNode's loopback Runtime API, file of its secret.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from flwr.clientapp import ClientApp
from flwr.common.constant import SubStatus
from flwr.proto.runtime_pb2 import AcquireTaskRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.retry import make_simple_http_retry_invoker
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supernode.runtime.run_clientapp import pull_task_input, push_message, push_task_output

from tests.server.small_clinics import joining_app


def connect(address: str, *interceptors: object) -> RuntimeHttpClient:
    return RuntimeHttpClient.from_server_address(
        server_address=address,
        insecure=True,
        root_certificates=None,
        interceptors=list(interceptors),
        retry_invoker=make_simple_http_retry_invoker(),
    )


def work(address: str, token: str, app: ClientApp) -> None:
    """Do one task."""
    client = connect(
        address,
        RuntimeVersionHttpInterceptor(component_name="flwr-clientapp"),
        RuntimeTokenHttpInterceptor(token),
    )
    message, context, _, _ = pull_task_input(client)
    push_message(client, app(message, context), context)
    push_task_output(client, context, SubStatus.COMPLETED, "")
    client.close()


def main(address: str, secret: Path) -> None:
    app = joining_app()
    client = connect(
        address,
        RuntimeVersionHttpInterceptor(component_name="SuperExec"),
        SuperExecAuthHttpInterceptor(
            master_secret=secret.read_bytes(),
            protected_methods=frozenset({"/flwr.proto.Runtime/AcquireTask"}),
        ),
    )
    while True:
        answer = client.AcquireTask(AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP]))
        if answer.HasField("task") and answer.token:
            work(address, answer.token, app)
        else:
            time.sleep(0.2)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
