/*
 * Preloaded before the Vulkan loader, so that a software device can stand in for a large card when only memory is planned:
 * it reports 128 MiB as its largest storage buffer, which would push large tensors to the host, and the machine's RAM as its memory.
 * ORACLE_VRAM_MIB is the memory that the device reports. Nothing is computed on it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

static const VkDeviceSize largest_allocation = (VkDeviceSize)1 << 40;

static PFN_vkGetInstanceProcAddr next_get_instance_proc_addr;
static PFN_vkGetPhysicalDeviceProperties next_properties;
static PFN_vkGetPhysicalDeviceProperties2 next_properties2;
static PFN_vkGetPhysicalDeviceMemoryProperties next_memory;
static PFN_vkGetPhysicalDeviceMemoryProperties2 next_memory2;

static VkDeviceSize reported_memory(void) {
  const char *mib = getenv("ORACLE_VRAM_MIB");
  return mib == NULL ? 0 : (VkDeviceSize)strtoull(mib, NULL, 10) << 20;
}

static void raise_limits(VkPhysicalDeviceProperties *properties) { properties->limits.maxStorageBufferRange = UINT32_MAX; }

static void raise_chained_limits(void *chain) {
  for (VkBaseOutStructure *entry = chain; entry != NULL; entry = entry->pNext) {
    switch (entry->sType) {
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES:
      ((VkPhysicalDeviceMaintenance3Properties *)entry)->maxMemoryAllocationSize = largest_allocation;
      break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES:
      ((VkPhysicalDeviceVulkan11Properties *)entry)->maxMemoryAllocationSize = largest_allocation;
      break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES:
      ((VkPhysicalDeviceMaintenance4Properties *)entry)->maxBufferSize = largest_allocation;
      break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES:
      ((VkPhysicalDeviceVulkan13Properties *)entry)->maxBufferSize = largest_allocation;
      break;
    default:
      break;
    }
  }
}

static void VKAPI_CALL properties(VkPhysicalDevice device, VkPhysicalDeviceProperties *out) {
  next_properties(device, out);
  raise_limits(out);
}

static void VKAPI_CALL properties2(VkPhysicalDevice device, VkPhysicalDeviceProperties2 *out) {
  next_properties2(device, out);
  raise_limits(&out->properties);
  raise_chained_limits(out->pNext);
}

static void VKAPI_CALL memory(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties *out) {
  next_memory(device, out);
  if (reported_memory() != 0) out->memoryHeaps[0].size = reported_memory();
}

static void VKAPI_CALL memory2(VkPhysicalDevice device, VkPhysicalDeviceMemoryProperties2 *out) {
  next_memory2(device, out);
  if (reported_memory() == 0) return;
  out->memoryProperties.memoryHeaps[0].size = reported_memory();
  for (VkBaseOutStructure *entry = out->pNext; entry != NULL; entry = entry->pNext) {
    if (entry->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT) continue;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget = (void *)entry;
    budget->heapBudget[0] = reported_memory();
    budget->heapUsage[0] = 0;
  }
}

static int is_one_of(const char *name, const char *core, const char *extension) {
  return strcmp(name, core) == 0 || strcmp(name, extension) == 0;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *name) {
  if (next_get_instance_proc_addr == NULL) {
    next_get_instance_proc_addr = (PFN_vkGetInstanceProcAddr)dlsym(RTLD_NEXT, "vkGetInstanceProcAddr");
    if (next_get_instance_proc_addr == NULL) abort();
  }
  PFN_vkVoidFunction found = next_get_instance_proc_addr(instance, name);
  if (found == NULL) return NULL;
  if (strcmp(name, "vkGetInstanceProcAddr") == 0) return (PFN_vkVoidFunction)vkGetInstanceProcAddr;
  if (strcmp(name, "vkGetPhysicalDeviceProperties") == 0) {
    next_properties = (PFN_vkGetPhysicalDeviceProperties)found;
    return (PFN_vkVoidFunction)properties;
  }
  if (is_one_of(name, "vkGetPhysicalDeviceProperties2", "vkGetPhysicalDeviceProperties2KHR")) {
    next_properties2 = (PFN_vkGetPhysicalDeviceProperties2)found;
    return (PFN_vkVoidFunction)properties2;
  }
  if (strcmp(name, "vkGetPhysicalDeviceMemoryProperties") == 0) {
    next_memory = (PFN_vkGetPhysicalDeviceMemoryProperties)found;
    return (PFN_vkVoidFunction)memory;
  }
  if (is_one_of(name, "vkGetPhysicalDeviceMemoryProperties2", "vkGetPhysicalDeviceMemoryProperties2KHR")) {
    next_memory2 = (PFN_vkGetPhysicalDeviceMemoryProperties2)found;
    return (PFN_vkVoidFunction)memory2;
  }
  return found;
}
