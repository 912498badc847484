#pragma once
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace widthwise::testing_support {

// Every tag that is opened is closed, in order; every attribute is quoted and given once; every &
// begins one of the entities that escaping writes. Enough for pages and charts without scripts.
inline void expect_well_formed(const std::string& text) {
  const std::set<std::string> without_end = {"meta", "br", "hr"};
  std::vector<std::string> open;
  for (size_t at = text.find('<'); at != std::string::npos; at = text.find('<', at)) {
    const std::string near = text.substr(at, 60);
    if (text.compare(at, 2, "<!") == 0) {
      at = text.find('>', at);
      continue;
    }
    const bool closes = text[at + 1] == '/';
    size_t end = at + (closes ? 2 : 1);
    std::string name;
    while (end < text.size() && std::isalnum(static_cast<unsigned char>(text[end])) != 0) {
      name += text[end++];
    }
    ASSERT_FALSE(name.empty()) << "a stray '<': " << near;
    std::set<std::string> seen;
    bool is_empty = false;
    while (true) {
      while (end < text.size() && std::isspace(static_cast<unsigned char>(text[end])) != 0) ++end;
      ASSERT_LT(end, text.size()) << "no '>': " << near;
      if (text[end] == '>') break;
      if (text.compare(end, 2, "/>") == 0) {
        is_empty = true;
        ++end;
        break;
      }
      const size_t equals = text.find_first_of("= />", end);
      ASSERT_TRUE(equals != std::string::npos && text[equals] == '=') << "attribute: " << near;
      ASSERT_TRUE(seen.insert(text.substr(end, equals - end)).second) << "twice: " << near;
      ASSERT_EQ(text[equals + 1], '"') << "not quoted: " << near;
      const size_t quote = text.find('"', equals + 2);
      ASSERT_NE(quote, std::string::npos) << near;
      ASSERT_EQ(text.substr(equals, quote - equals).find('<'), std::string::npos) << near;
      end = quote + 1;
    }
    if (closes) {
      ASSERT_FALSE(open.empty()) << "nothing is open: " << near;
      ASSERT_EQ(open.back(), name) << near;
      open.pop_back();
    } else if (!is_empty && !without_end.contains(name)) {
      open.push_back(name);
    }
    at = end;
  }
  EXPECT_TRUE(open.empty()) << open.back() << " is never closed";
  for (size_t at = text.find('&'); at != std::string::npos; at = text.find('&', at + 1)) {
    const std::string entity = text.substr(at, text.find(';', at) - at + 1);
    EXPECT_TRUE((std::set<std::string>{"&amp;", "&lt;", "&gt;", "&quot;"}).contains(entity))
        << text.substr(at, 20);
  }
}

}  // namespace widthwise::testing_support
