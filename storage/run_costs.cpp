// SPDX-License-Identifier: GPL-3.0-or-later
#include "storage/run_costs.h"

#include "storage/schema.h"

namespace expertscope {

OffloadCosts readCosts(Database& database, std::int64_t run) {
    OffloadCosts costs;
    Statement known(database.handle(), "SELECT 1 FROM sqlite_master WHERE name='run_cost'");
    if (!known.step()) return costs;
    Statement row(database.handle(),
                  "SELECT transfer_ns, compute_ns, compute_token_ns, in_place_ns, in_place_token_ns FROM run_cost "
                  "WHERE run_id=?");
    row.bind(1, run);
    if (!row.step()) return costs;
    costs.transfer = Nanoseconds(row.integer(0));
    costs.compute = Nanoseconds(row.integer(1));
    costs.computeToken = Nanoseconds(row.integer(2));
    costs.inPlace = Nanoseconds(row.integer(3));
    costs.inPlaceToken = Nanoseconds(row.integer(4));
    return costs;
}

void addCosts(Database& database, std::int64_t run, const OffloadCosts& costs) {
    if (!costs.known()) return;
    database.execute(kRunCostSql);
    Statement row(database.handle(), "INSERT INTO run_cost VALUES(?, ?, ?, ?, ?, ?)");
    row.bind(1, run);
    row.bind(2, costs.transfer.count());
    row.bind(3, costs.compute.count());
    row.bind(4, costs.computeToken.count());
    row.bind(5, costs.inPlace.count());
    row.bind(6, costs.inPlaceToken.count());
    row.run();
}

}  // namespace expertscope
