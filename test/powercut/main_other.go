//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "powercut: needs Linux: it shuts down an ext4 file system")
	os.Exit(2)
}
