//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/annals-go/annals/store"
)

// block is a file in which the server keeps a part of the log.
type block struct {
	path string
	data []byte
}

// blocks returns the files of a namespace's log in a data directory, in their
// order.
func blocks(data, namespace string) ([]block, error) {
	paths, err := filepath.Glob(filepath.Join(streamDir(data, namespace), "*.blk"))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("no block files in %s: %w", data, err)
	}
	slices.SortFunc(paths, func(a, b string) int { return number(a) - number(b) })
	var all []block
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		all = append(all, block{path, content})
	}
	return all, nil
}

// streamDir is where the server keeps a namespace's log.
func streamDir(data, namespace string) string {
	return filepath.Join(data, "jetstream", "$G", "streams", "ANNALS_"+namespace+"_events", "msgs")
}

func number(path string) int {
	n, _ := strconv.Atoi(strings.TrimSuffix(filepath.Base(path), ".blk"))
	return n
}

// find returns where a commit's bytes are.
func find(all []block, c *store.Commit) (path string, offset int, err error) {
	stored, err := store.EncodeCommit(store.MsgPack, c)
	if err != nil {
		return "", 0, err
	}
	for _, b := range all {
		if at := bytes.Index(b.data, stored); at >= 0 {
			return b.path, at, nil
		}
	}
	return "", 0, fmt.Errorf("the commit at sequence %d is in no block file", c.Sequence)
}

// flipIn flips a bit of a commit where the server keeps it: in its body, or in
// what stands in front of it.
func flipIn(random *rand.Rand, data, namespace string, c *store.Commit) (undo func() error, err error) {
	all, err := blocks(data, namespace)
	if err != nil {
		return nil, err
	}
	path, at, err := find(all, c)
	if err != nil {
		return nil, err
	}
	const front = 40 // the end of the message's header
	return flip(path, at-front+random.IntN(front+64), random.IntN(8))
}

// flip changes one bit of a file, in place; undo changes it back.
func flip(path string, at, bit int) (undo func() error, err error) {
	change := func() error {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer f.Close()
		b := make([]byte, 1)
		if _, err := f.ReadAt(b, int64(at)); err != nil {
			return err
		}
		b[0] ^= 1 << bit
		if _, err := f.WriteAt(b, int64(at)); err != nil {
			return err
		}
		return f.Close()
	}
	return change, change()
}

// flipAnywhere flips a random bit of a file.
func flipAnywhere(random *rand.Rand, path string) (undo func() error, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	return flip(path, random.IntN(int(info.Size())), random.IntN(8))
}
