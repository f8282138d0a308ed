//go:build !linux

package main

import "github.com/annals-go/annals/test/harness"

func main() { harness.Unsupported("canary", "processes are bound to the trial by signals") }
