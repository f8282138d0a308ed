//go:build !linux

package main

import "github.com/annals-go/annals/test/harness"

func main() { harness.Unsupported("crash", "its processes are to die with it") }
