#!/bin/sh
# Starts Redis with the users of users.acl, each with the password in its variable (REDIS_ACTOR_PASSWORD,
# REDIS_OPERATOR_PASSWORD, REDIS_PRODUCER_PASSWORD); a user without one cannot come in, and nobody without a name can.
# Arguments: users.acl, then the server and its options. Passwords must be fit for a URL: letters, digits, - and _.
set -eu
umask 077
users=$(mktemp)
awk '
    $1 == "user" && (password = ENVIRON["REDIS_" toupper($2) "_PASSWORD"]) != "" {
        if (password !~ /^[A-Za-z0-9_-]+$/) {
            print "the password of " $2 " must have only letters, digits, - and _" > "/dev/stderr"
            exit 2
        }
        $2 = $2 " >" password
    }
    { print }' "$1" >"$users"
shift
# the image's own entry point gives up root before it starts the server
if [ "$(id -u)" = 0 ] && id redis >/dev/null 2>&1; then
    chown redis "$users"
fi
exec "$@" --aclfile "$users"
