#pragma once
/* <data>.new: where a data directory is made before it is renamed into place (thread pool only). Our
 * mark is the first thing in it and the last that goes, so that what a crash leaves is always known
 * to be ours; whatever lies there without it is a person's and is refused. */
#include "base/err.h"
#include "sidecar/postgres/place.h"

/* An empty <data>.new with our mark; <data>.new/data does not exist. ERR_REFUSED: not ours. */
enum err_code fresh_prepare(const struct place *place, struct err *err);
/* <data>.new/data is complete: "initdb" or "clone". */
enum err_code fresh_complete(const struct place *place, const char *kind, struct err *err);
/* Is a complete one of that kind there? */
bool fresh_is_complete(const struct place *place, const char *kind);
/* Renames it to <data>, which must be missing or empty; done before is fine. */
enum err_code fresh_adopt(const struct place *place, struct err *err);
/* Missing is fine. ERR_REFUSED: not ours. */
enum err_code fresh_remove(const struct place *place, struct err *err);
/* Deletes <data>: first moves it away in one step, so that no half of it is ever taken for a whole. */
enum err_code fresh_remove_data(const struct place *place, struct err *err);
