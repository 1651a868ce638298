// Serves Argo CD's cache on the Unix socket that its argument names, until it is killed.
//
// It is miniredis, which `argocd --core` and Argo CD's own tests run in place of Redis. All of it is in memory.
package main

import (
	"fmt"
	"net"
	"os"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("usage: redis SOCKET")
	}
	redis := miniredis.NewMiniRedis()
	// Left to itself, it lets nothing expire.
	redis.ClockTTL(true)
	// This is how it is started without a port.
	if _, err := redis.Dial(); err != nil {
		return fmt.Errorf("cannot start miniredis: %w", err)
	}
	listener, err := net.Listen("unix", arguments[0])
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		redis.Server().ServeConn(connection)
	}
}
