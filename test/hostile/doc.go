// Command hostile tries two tenants on one server, of whom one is hostile: what it sees
// of the other, and how much slower that gets. It owns, too, the tests of a node as its
// enemies see it: whatever bytes they send it over NATS and over HTTP.
//
// It runs the nodes of an application in this process, and never looks into them: what
// it knows comes over the wire, and from the server's own account of what is stored.
//
// It prints one line of JSON, and ends with status 1 if anything was seen that is
// another's, if the one without permissions saw nothing (then nothing was proved), if
// the honest tenant got slower than its neighbour's quota promises, or no faster than
// without any quota.
package main
