//go:build !linux

package main

import "github.com/annals-go/annals/test/harness"

func main() { harness.Unsupported("powercut", "it shuts down an ext4 file system") }
