#!/usr/bin/env bash
# A shared server from local programs: PostgreSQL for runs and studies, a folder for files, MLflow with logins.
#
#   server.sh start FOLDER     make it on first use, start it, and say how to reach it
#   server.sh stop FOLDER
#   server.sh status FOLDER
#   server.sh secrets FOLDER   only make the secrets, as compose.yaml needs them
#
# All state is in FOLDER. Passwords are made at the first start and stand in FOLDER/secrets.env alone, which only its
# owner can read. Settings from the environment: HOST (127.0.0.1), PORT (5000), POSTGRES_PORT (5433), POSTGRES_BIN
# (where initdb is), ALLOWED_HOSTS (names under which browsers reach it, where HOST is not this machine alone).
set -euo pipefail
umask 077

HOST=${HOST:-127.0.0.1} PORT=${PORT:-5000} POSTGRES_PORT=${POSTGRES_PORT:-5433}
ANSWERS_WITHIN_S=180

fail() {
  echo "error: $*" >&2
  exit 2
}

find_postgres() {
  if [ -z "${POSTGRES_BIN:-}" ]; then
    local newest
    newest=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1 || true)
    POSTGRES_BIN=${newest:-$(dirname "$(command -v initdb || echo missing/initdb)")}
  fi
  [ -x "$POSTGRES_BIN/initdb" ] || fail "no initdb in $POSTGRES_BIN: install PostgreSQL, or set POSTGRES_BIN"
}

# PostgreSQL refuses to run as root: there it runs as the user that its package made
as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

make_secrets() {
  [ -e "$FOLDER/secrets.env" ] && return
  local name
  for name in POSTGRES_PASSWORD MLFLOW_AUTH_ADMIN_PASSWORD MLFLOW_FLASK_SERVER_SECRET_KEY; do
    echo "$name=$(head -c 24 /dev/urandom | base64 | tr '+/' '-_')"
  done > "$FOLDER/.secrets.$$"
  echo "MLFLOW_AUTH_ADMIN_USERNAME=admin" >> "$FOLDER/.secrets.$$"
  mv "$FOLDER/.secrets.$$" "$FOLDER/secrets.env"
}

start_postgres() {
  local data=$FOLDER/postgres
  if [ ! -e "$data/PG_VERSION" ]; then
    mkdir -p "$data"
    printf '%s' "$POSTGRES_PASSWORD" > "$data.password"
    if [ "$(id -u)" = 0 ]; then
      chmod 711 "$FOLDER"
      chown postgres "$data" "$data.password"
    fi
    as_postgres "$POSTGRES_BIN/initdb" -D "$data" -U fusion_rl --auth=scram-sha-256 --pwfile="$data.password" \
      --encoding=UTF8 > "$FOLDER/initdb.log" || fail "PostgreSQL cannot be set up: see $FOLDER/initdb.log"
    rm "$data.password"
  fi
  as_postgres "$POSTGRES_BIN/pg_ctl" -D "$data" status > /dev/null && return
  as_postgres "$POSTGRES_BIN/pg_ctl" -D "$data" -w -l "$data/server.log" start \
    -o "-p $POSTGRES_PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories=''" > /dev/null ||
    fail "PostgreSQL does not start: see $data/server.log"
  local database
  for database in mlflow optuna; do
    sql postgres "SELECT 1 FROM pg_database WHERE datname = '$database'" | grep -q 1 ||
      sql postgres "CREATE DATABASE $database" > /dev/null
  done
}

sql() {
  PGPASSWORD=$POSTGRES_PASSWORD "$POSTGRES_BIN/psql" -h 127.0.0.1 -p "$POSTGRES_PORT" -U fusion_rl -d "$1" -Atc "$2"
}

start_mlflow() {
  is_running && return
  cat > "$FOLDER/auth.ini" << INI
[mlflow]
default_permission = EDIT
database_uri = sqlite:///$FOLDER/auth.db
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
INI
  export MLFLOW_AUTH_CONFIG_PATH=$FOLDER/auth.ini MLFLOW_DISABLE_TELEMETRY=true
  # by the environment: anybody on the machine can read a command line
  export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false # of chat agents: processes that keep polling
  export MLFLOW_BACKEND_STORE_URI=postgresql+psycopg://fusion_rl:$POSTGRES_PASSWORD@127.0.0.1:$POSTGRES_PORT/mlflow
  cd "$FOLDER"
  # a worker that takes more than 5 s for its imports, on a busy machine, would otherwise be ended, again and again
  setsid python -m mlflow server --app-name basic-auth --host "$HOST" --port "$PORT" --workers 2 \
    --uvicorn-opts "--timeout-worker-healthcheck 120" \
    --artifacts-destination "$FOLDER/artifacts" ${ALLOWED_HOSTS:+--allowed-hosts "$ALLOWED_HOSTS"} \
    > "$FOLDER/mlflow.log" 2>&1 < /dev/null &
  echo $! > "$FOLDER/mlflow.pid"
  local until=$((SECONDS + ANSWERS_WITHIN_S))
  until answers; do
    is_running || fail "MLflow ended: see $FOLDER/mlflow.log"
    [ $SECONDS -lt $until ] || fail "MLflow does not answer after $ANSWERS_WITHIN_S s: see $FOLDER/mlflow.log"
    sleep 1
  done
}

answers() {
  python - "$PORT" << 'PY' 2> /dev/null
import sys, urllib.request
urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/health", timeout=5)
PY
}

is_running() {
  [ -e "$FOLDER/mlflow.pid" ] && kill -0 "$(cat "$FOLDER/mlflow.pid")" 2> /dev/null
}

tell() {
  cat << TEXT
MLflow      http://$HOST:$PORT   user admin, password in $FOLDER/secrets.env
runs        export MLFLOW_TRACKING_URI=http://$HOST:$PORT MLFLOW_TRACKING_USERNAME=... MLFLOW_TRACKING_PASSWORD=...
studies     postgresql+psycopg://fusion_rl:PASSWORD@127.0.0.1:$POSTGRES_PORT/optuna
TEXT
}

[ $# = 2 ] || fail "usage: server.sh start|stop|status|secrets FOLDER"
COMMAND=$1
mkdir -p "$2"
FOLDER=$(cd "$2" && pwd)
case $COMMAND in
  start)
    find_postgres
    make_secrets
    # shellcheck disable=SC1091
    set -a && . "$FOLDER/secrets.env" && set +a
    start_postgres
    start_mlflow
    tell
    ;;
  stop)
    find_postgres
    if is_running; then
      kill -TERM -- "-$(cat "$FOLDER/mlflow.pid")"
      for _ in $(seq 60); do
        is_running || break
        sleep 0.5
      done
    fi
    rm -f "$FOLDER/mlflow.pid"
    if [ -e "$FOLDER/postgres/postmaster.pid" ]; then
      as_postgres "$POSTGRES_BIN/pg_ctl" -D "$FOLDER/postgres" -m fast -w stop > /dev/null
    fi
    echo stopped
    ;;
  status)
    if is_running && answers; then echo running; else echo "not running" && exit 1; fi
    ;;
  secrets) make_secrets ;;
  *) fail "unknown command '$COMMAND': start, stop, status or secrets" ;;
esac
