//go:build !linux

package main

import "github.com/annals-go/annals/test/harness"

func main() {
	harness.Unsupported("failover", "its processes die with it, and its network is made of namespaces")
}
