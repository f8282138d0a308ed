//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "failover: NOTHING WAS TESTED. It needs Linux: its processes die with it, and its network is made of namespaces")
	os.Exit(2)
}
