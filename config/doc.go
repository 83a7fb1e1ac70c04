// Package config reads the configuration of a gateway and its tenant files.
//
// The file is one struct, composed of each package's own Config, and read by package
// config/strict: everything that is wrong, a weak or contradictory setting too, is
// reported with its line and path, all of it at once. A profile is a set of defaults,
// and of settings it refuses.
package config
