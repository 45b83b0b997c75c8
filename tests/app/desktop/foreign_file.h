// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <QByteArray>
#include <QFile>
#include <QString>

namespace expertscope::test {

inline void writeFile(const QString& name, const QByteArray& bytes) {
    QFile file(name);
    file.open(QIODevice::WriteOnly);
    file.write(bytes);
}

/// A table of routing: one layer, top 1, `warmUp` tokens that all choose expert 7, then `tokens` that take turns of
/// four experts.
inline QByteArray routingTable(int tokens, int warmUp = 0) {
    QByteArray text = "token,layer,expert,weight\n";
    for (int t = 0; t < warmUp + tokens; ++t)
        text += QByteArray::number(t) + ",0," + QByteArray::number(t < warmUp ? 7 : t % 4) + ",1\n";
    return text;
}

}  // namespace expertscope::test
