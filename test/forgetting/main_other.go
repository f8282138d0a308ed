//go:build !linux

package main

import "github.com/annals-go/annals/test/harness"

func main() { harness.Unsupported("forgetting", "its nodes and servers are to die with it") }
